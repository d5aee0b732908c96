--[[
  Has new shapes wait for the next append of the owner, which ends it.

  KEYS[1] m
  ARGV[1..2] epoch, owner

  Returns 1 if it is so now
]]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'owner')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'hold', '1')
return 1
