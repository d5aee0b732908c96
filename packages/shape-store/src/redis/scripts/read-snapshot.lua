--[[
  Pieces of a snapshot chunk, and whether more will follow. One step, because a chunk that is closed a moment after its
  pieces were read may have got one more in between.

  KEYS[1] h  KEYS[2] b:<handle>:<chunk>
  ARGV[1] handle  ARGV[2] chunk  ARGV[3] first piece  ARGV[4] bytes at which to stop

  Returns nil when the chunk has not begun; else {1 if closed else 0, number of pieces, piece, piece, ...}
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if not h then return false end
local size = redis.call('LLEN', KEYS[2])
local closed = tonumber(ARGV[2]) < h.closed
if size == 0 and not closed then return false end
local out, bytes = { closed and 1 or 0, size }, 0
for i = tonumber(ARGV[3]), size - 1 do
  local piece = redis.call('LINDEX', KEYS[2], i)
  if bytes > 0 and bytes + #piece > tonumber(ARGV[4]) then break end
  bytes = bytes + #piece
  out[#out + 1] = piece
end
return out
