--[[
  Heads of shapes together with the shard's visible position and watermark, which belong together (spec R 14.1).

  The tail in a head may lie beyond the visible position, while a transaction is applied half-way; then the log is asked for
  its last visible entry.

  KEYS[1] m  KEYS[2] h  KEYS[3..] l:<handle> of each
  ARGV    handles

  Returns {vis, wm, head or nil, visible tail, head or nil, visible tail, ...}
]]
local out = redis.call('HMGET', KEYS[1], 'vis', 'wm')
local visible = out[1]
local heads = redis.call('HMGET', KEYS[2], unpack(ARGV))
local n = 2
for i, head in ipairs(heads) do
  local tail = ''
  if head then
    -- Of fixed width: one letter, a space, an id of 41 characters, a space, the tail.
    tail = string.sub(head, 45, 85)
    if tail > visible then
      tail = last_entry(KEYS[2 + i], read_head(head), visible)
    end
  end
  out[n + 1], out[n + 2] = head, tail
  n = n + 2
end
return out
