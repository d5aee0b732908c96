--[[
  What changed since a version of the set of shapes. One step, so that the shapes are those of the version that is returned.

  KEYS[1] m  KEYS[2] v  KEYS[3] f  KEYS[4] h  KEYS[5] a
  ARGV[1] the version the caller knows

  Returns nil when that version is too old to say; 0 when it is none of those that led to this one, so that history was taken back;
  else {ver, handle, fixed, head, attempt, handle, ...}
]]
local ver = redis.call('HGET', KEYS[1], 'ver')
if not ver then return false end
local out = { ver }
if ver == ARGV[1] then return out end
local newer = tonumber(string.match(ver, '^(%d+):')) - tonumber(string.match(ARGV[1], '^(%d+):') or '0')
if newer < 1 then return 0 end
local known = redis.call('LINDEX', KEYS[2], newer)
if not known then return false end
if string.match(known, '^%S+') ~= ARGV[1] then return 0 end

local seen = {}
for _, line in ipairs(redis.call('LRANGE', KEYS[2], 0, newer - 1)) do
  local handle = string.match(line, ' (%S+)$')
  if handle ~= '-' and not seen[handle] then
    seen[handle] = true
    local fixed, head = redis.call('HGET', KEYS[3], handle), redis.call('HGET', KEYS[4], handle)
    -- Swept already: nothing left to say that it is dead.
    if not fixed or not head then return false end
    local n = #out
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = handle, fixed, head, redis.call('HGET', KEYS[5], handle) or ''
  end
end
return out
