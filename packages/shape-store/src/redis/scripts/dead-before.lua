--[[
  Handles that died longer ago than the grace period, measured with the store's clock, and how much data they have.

  KEYS[1] x  KEYS[2] h
  ARGV[1] grace in ms  ARGV[2] most handles to return

  Returns {handle, snapshot chunks, handle, ...}
]]
local before = string.format('%d', now_ms() - tonumber(ARGV[1]))
local out = {}
for _, handle in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'LIMIT', 0, ARGV[2])) do
  local h = read_head(redis.call('HGET', KEYS[2], handle))
  out[#out + 1] = handle
  out[#out + 1] = h and h.closed + 1 or 0
end
return out
