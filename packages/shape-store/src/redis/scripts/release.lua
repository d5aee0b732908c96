--[[
  Gives a shard up, unless somebody else has taken it over: with no owner nobody can write.

  KEYS[1] m
  ARGV[1..2] epoch, owner

  Returns 1 if it was given up
]]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'owner')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'owner', '')
return 1
