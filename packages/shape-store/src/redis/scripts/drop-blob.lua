--[[
  Deletes a blob that no chunk has named for longer than the grace period. One step with the look at the list, or a blob
  might be deleted that has just been put into use.

  KEYS[1] y  KEYS[2] z:<handle>:<token>
  ARGV[1] member of y  ARGV[2] grace in ms, by the store's clock

  Returns 1 if it was deleted
]]
local used_at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not used_at or tonumber(used_at) > now_ms() - tonumber(ARGV[2]) then return 0 end
redis.call('UNLINK', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
