--[[
  Deletes what is left of a dead handle, after its data. Data first and the record last, so that a sweep that was
  interrupted finds the handle again (spec R 15.8). One step, so that no record is left without its entry among the dead.

  KEYS[1] h  KEYS[2] f  KEYS[3] a  KEYS[4] d  KEYS[5] c  KEYS[6] x  KEYS[7] k  KEYS[8] q
  KEYS[9] u  KEYS[10] w
  ARGV[1] handle

  Returns 1
]]
local handle = ARGV[1]
redis.call('ZREMRANGEBYLEX', KEYS[5], '[' .. handle .. ' ', '[' .. handle .. ' ~')
-- Handles that died in an append still stand here.
unlist(KEYS[4], redis.call('HGET', KEYS[2], handle), handle)
redis.call('HDEL', KEYS[1], handle)
redis.call('HDEL', KEYS[2], handle)
redis.call('HDEL', KEYS[3], handle)
redis.call('ZREM', KEYS[6], handle)
redis.call('SREM', KEYS[7], handle)
redis.call('HDEL', KEYS[8], handle)
-- A handle that died in an append still stands here.
redis.call('ZREM', KEYS[9], handle)
redis.call('ZREM', KEYS[10], handle)
return 1
