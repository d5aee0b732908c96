--[[
  How many shapes a shard has, and which live ones were read longest ago (spec R 15.5.1). One step, so that shapes that
  somebody ends at the same time are both counted and named, or neither.

  KEYS[1] h  KEYS[2] x  KEYS[3] u  KEYS[4] w
  ARGV[1] most shapes to name  ARGV[2] most times to look at  ARGV[3] 1 to pass over shapes that somebody waits for
  ARGV[4] most dead shapes to weigh

  Returns {alive, bytes of dead shapes, handle, read at, held bytes, handle, ...}
]]
local dying = 0
local dead = redis.call('ZREVRANGE', KEYS[2], 0, tonumber(ARGV[4]) - 1)
for i = 1, #dead, 200 do
  for _, text in ipairs(redis.call('HMGET', KEYS[1], unpack(dead, i, math.min(i + 199, #dead)))) do
    if text then dying = dying + read_head(text).held end
  end
end
local out = { redis.call('HLEN', KEYS[1]) - redis.call('ZCARD', KEYS[2]), dying }
local now, named, from = now_ms(), 0, 0
local most, looks = tonumber(ARGV[1]), tonumber(ARGV[2])
while named < most and from < looks do
  local page = redis.call('ZRANGE', KEYS[3], from, from + 99, 'WITHSCORES')
  if #page == 0 then break end
  local handles = {}
  for i = 1, #page, 2 do handles[#handles + 1] = page[i] end
  local heads = redis.call('HMGET', KEYS[1], unpack(handles))
  local waits = ARGV[3] == '1' and redis.call('ZMSCORE', KEYS[4], unpack(handles)) or {}
  for i, handle in ipairs(handles) do
    local head = heads[i]
    if named < most and head and string.sub(head, 1, 1) == 'l' and not (waits[i] and tonumber(waits[i]) >= now) then
      local at = #out
      out[at + 1], out[at + 2], out[at + 3] = handle, page[2 * i], read_head(head).held
      named = named + 1
    end
  end
  from = from + 100
end
return out
