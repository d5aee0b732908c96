--[[
  Puts one blob in the place of consecutive sealed chunks, under the end of the last of them (spec R 11.6.5).

  One step, so that a reader finds either the old chunks or the new one. The old blobs stay for who is reading them.

  KEYS[1] h  KEYS[2] c  KEYS[3] y  KEYS[4] z:<handle>:<token>
  ARGV[1] handle  ARGV[2] new member of c  ARGV[3] member of y  ARGV[4] elements of the blob
  ARGV[5] entries, ARGV[6] JSON bytes and ARGV[7] bytes held that there are fewer
  ARGV[8..] for each old chunk: its member of c, its blob's member of y

  Returns 1, or 0 when a chunk is not what it was, or the blob is not whole
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if not h or h.state ~= 'l' then return 0 end
for i = 8, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[2], ARGV[i]) then return 0 end
end
if redis.call('LLEN', KEYS[4]) ~= tonumber(ARGV[4]) then return 0 end
if redis.call('ZREM', KEYS[3], ARGV[3]) == 0 then return 0 end

local now = string.format('%d', now_ms())
redis.call('ZADD', KEYS[2], 0, ARGV[2])
for i = 8, #ARGV, 2 do
  redis.call('ZREM', KEYS[2], ARGV[i])
  redis.call('ZADD', KEYS[3], now, ARGV[i + 1])
end
h.entries, h.log, h.held = h.entries - tonumber(ARGV[5]), h.log - tonumber(ARGV[6]), h.held - tonumber(ARGV[7])
redis.call('HSET', KEYS[1], ARGV[1], write_head(h))
return 1
