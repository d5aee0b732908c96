--[[
  Records that the owner of a shard has found it here as it knows it, so that whoever acquires it next need not doubt it (spec R 12.5.8).

  KEYS[1] m
  ARGV[1..4] epoch, owner, ver, cursor as the owner knows them

  Returns 1 if it is so
]]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'ver', 'cursor')
for i = 1, 4 do
  if meta[i] ~= ARGV[i] then return 0 end
end
redis.call('HSET', KEYS[1], 'node', node())
return 1
