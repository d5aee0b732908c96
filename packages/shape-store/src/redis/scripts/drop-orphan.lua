--[[
  Deletes data that no shape owns, once it has not been touched for a while (spec R 15.4.3).

  One step with the look at the shape, or data might go that has just been put into use. A record is always there before the
  data, and a handle is never used again, so what has no record never gets one.

  KEYS[1] h  KEYS[2] y  KEYS[3] c  KEYS[4] the data
  ARGV[1] handle  ARGV[2] token, of a blob; else empty  ARGV[3] grace in ms

  Returns 1 if it was deleted
]]
local handle, token = ARGV[1], ARGV[2]
if not is_idle(KEYS[4], ARGV[3]) then return 0 end
if redis.call('HEXISTS', KEYS[1], handle) == 1 then
  if token == '' or redis.call('ZSCORE', KEYS[2], handle .. ' ' .. token) then return 0 end
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '[' .. handle .. ' ', '[' .. handle .. ' ~')) do
    if string.find(member, token, 1, true) then return 0 end
  end
end
return redis.call('UNLINK', KEYS[4])
