--[[
  Deletes a key of a shard that nobody uses any more, once it has not been touched for a while.

  KEYS[1] any
  ARGV[1] grace in ms

  Returns 1 if it was deleted
]]
return is_idle(KEYS[1], ARGV[1]) and redis.call('UNLINK', KEYS[1]) or 0
