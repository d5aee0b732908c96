--[[
  Adds a block to a blob that is being written, or, as the last step, its table in front of them.

  The blob is listed as unused in the same step, so that one whose writer went away is found and deleted.

  KEYS[1] y  KEYS[2] z:<handle>:<token>
  ARGV[1] member of y  ARGV[2] 1 for the table  ARGV[3] bytes

  Returns 1
]]
redis.call('ZADD', KEYS[1], string.format('%d', now_ms()), ARGV[1])
redis.call(ARGV[2] == '1' and 'LPUSH' or 'RPUSH', KEYS[2], ARGV[3])
return 1
