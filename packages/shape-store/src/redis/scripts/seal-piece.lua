--[[
  Puts a compressed piece in the place of the piece of a snapshot chunk that it was made from (spec R 12.2.2), together with
  what the shape weighs. Idempotent: a piece that is compressed already stays.

  KEYS[1] h  KEYS[2] b:<handle>:<chunk>
  ARGV[1] handle  ARGV[2] number of the piece  ARGV[3] its bytes, compressed

  Returns 1, or 0 when the piece is compressed or gone
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if not h or h.flag ~= 'f' then return 0 end
local piece = redis.call('LINDEX', KEYS[2], ARGV[2])
if not piece or string.byte(piece, 1) == PACKED or #piece ~= piece_size(ARGV[3]) then return 0 end
redis.call('LSET', KEYS[2], ARGV[2], ARGV[3])
h.held = h.held - #piece + #ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], write_head(h))
return 1
