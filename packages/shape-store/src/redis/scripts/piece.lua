--[[
  A piece of a snapshot chunk: JSON as it was written, or compressed: a byte 1, the JSON's size in four bytes, most
  significant first, and the compressed bytes. No JSON begins with a byte 1.
]]
local PACKED = 1

local function piece_size(piece)
  if string.byte(piece, 1) ~= PACKED then return #piece end
  local a, b, c, d = string.byte(piece, 2, 5)
  return ((a * 256 + b) * 256 + c) * 256 + d
end
