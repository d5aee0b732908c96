--[[
  Takes a shard over: the epoch grows, so that no earlier owner can write. Creates the shard when it is new.

  Reading the epoch and writing the next must not come apart, or two owners would share one.

  KEYS[1] m  KEYS[2] v
  ARGV[1] owner token  ARGV[2] random token for the version of a new shard

  Returns the meta (epoch, owner, ver, cursor, vis, wm), and 1 if this is the server that an owner last vouched
  for (`vouch.lua`), or the shard is new
]]
-- What is left of a meta that was deleted is no meta.
local created = redis.call('HEXISTS', KEYS[1], 'ver') == 0
if created then init_shard(KEYS[1], KEYS[2], ARGV[2], node()) end
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
local here, known = node(), redis.call('HGET', KEYS[1], 'node')
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'part', '')
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'ver', 'cursor', 'vis', 'wm')
meta[7] = (created or (here ~= '' and here == known)) and '1' or '0'
return meta
