--[[
  Pieces of a snapshot chunk, and whether more may come. One step with the look at the head: a chunk that closed a moment after its
  pieces were read may have got one more in between.

  KEYS[1] h  KEYS[2] b:<handle>:<chunk>
  ARGV[1] handle  ARGV[2] chunk  ARGV[3] first piece  ARGV[4] bytes at which to stop

  Returns nil when the chunk has not begun, or the shape is dead and its data gone; 0 when the data of a live shape is gone;
  else {1 if closed else 0, number of pieces, piece, piece, ...}
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if not h then return false end
local size = redis.call('LLEN', KEYS[2])
local closed = tonumber(ARGV[2]) < h.closed
if size == 0 and not closed then return false end
-- No chunk is closed without a piece.
if size == 0 and h.snap > 0 then return h.state ~= 'd' and 0 end
local out, bytes = { closed and 1 or 0, size }, 0
for i = tonumber(ARGV[3]), size - 1 do
  local piece = redis.call('LINDEX', KEYS[2], i)
  local length = piece_size(piece)
  if bytes > 0 and bytes + length > tonumber(ARGV[4]) then break end
  bytes = bytes + length
  out[#out + 1] = piece
end
return out
