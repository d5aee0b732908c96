--[[
  Remembers that all pieces of a snapshot were looked at. In one step with the look at the head, which appends rewrite.

  KEYS[1] h
  ARGV[1] handle

  Returns 1
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if h and h.flag == 'f' then
  h.flag = 'z'
  redis.call('HSET', KEYS[1], ARGV[1], write_head(h))
end
return 1
