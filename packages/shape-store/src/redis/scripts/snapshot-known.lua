--[[
  Records what a snapshot sees, before its rows are read. Under the attempt's token, which must not come apart from it.

  KEYS[1] h  KEYS[2] a
  ARGV[1] handle  ARGV[2] token  ARGV[3..6] xmin, xmax, xip list, insert LSN; padded

  Returns 1, or 0 when the attempt is no longer current
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if not h or h.state ~= 's' then return 0 end
local attempt = cjson.decode(redis.call('HGET', KEYS[2], ARGV[1]))
if attempt.token ~= ARGV[2] then return 0 end
attempt.xmin, attempt.xmax, attempt.xip, attempt.insert = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(attempt))
return 1
