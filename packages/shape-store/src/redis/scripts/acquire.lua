--[[
  Takes a shard over: the epoch grows, so that no earlier owner can write. Creates the shard when it is new.

  Reading the epoch and writing the next must not come apart, or two owners would share one.

  KEYS[1] m  KEYS[2] v
  ARGV[1] owner token  ARGV[2] random token for the version of a new shard

  Returns the meta: epoch, owner, ver, cursor, vis, wm
]]
if redis.call('EXISTS', KEYS[1]) == 0 then init_shard(KEYS[1], KEYS[2], ARGV[2]) end
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'part', '')
return redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'ver', 'cursor', 'vis', 'wm')
