--[[
  Tells how new the transactions can be that a shard has skipped (spec R 10.6.7). Only if it has skipped none since, which must
  not come apart from it.

  KEYS[1] m
  ARGV[1] the place that was skipped to, as `readRing` gave it  ARGV[2] newest xid that may have committed before it; padded

  Returns 1, or 0 when the shard stands elsewhere
]]
local meta = redis.call('HMGET', KEYS[1], 'skip', 'floor')
if not meta[1] or meta[1] == '' or meta[1] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'skip', '', 'floor', ARGV[2] > meta[2] and ARGV[2] or meta[2])
return 1
