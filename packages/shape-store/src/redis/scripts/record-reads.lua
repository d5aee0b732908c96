--[[
  Remembers when shapes were last read (spec R 15.5.2).

  The times are the store's, so that those of all readers compare; and only of shapes that are there, in one step with the
  look at them, or times of shapes that went would stay for ever.

  KEYS[1] h  KEYS[2] u  KEYS[3] w
  ARGV[1] how long it is believed that somebody waits, in ms
  ARGV[2..] for each: handle, ms ago, 1 if somebody waits

  Returns how many are remembered
]]
local now = now_ms()
local count = 0
for i = 2, #ARGV, 3 do
  local head = redis.call('HGET', KEYS[1], ARGV[i])
  if head and string.sub(head, 1, 1) ~= 'd' then
    redis.call('ZADD', KEYS[2], 'GT', string.format('%d', now - tonumber(ARGV[i + 1])), ARGV[i])
    if ARGV[i + 2] == '1' then redis.call('ZADD', KEYS[3], 'GT', string.format('%d', now + tonumber(ARGV[1])), ARGV[i]) end
    count = count + 1
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%d', now - 1))
return count
