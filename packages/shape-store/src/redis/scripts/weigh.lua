--[[
  What some of the shapes of a shard weigh (spec R 12.6.1). In the server, as the heads of all shapes are much to send for a sum.

  KEYS[1] h
  ARGV[1] cursor of the scan  ARGV[2] about how many shapes

  Returns {cursor, shapes that are not dead, their bytes, bytes of dead shapes}
]]
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local alive, bytes, dying = 0, 0, 0
for i = 2, #page[2], 2 do
  local head = read_head(page[2][i])
  if head.state == 'd' then
    dying = dying + head.held
  else
    alive = alive + 1
    bytes = bytes + head.held
  end
end
return { page[1], alive, bytes, dying }
