--[[
  Starts a snapshot attempt; its token fences every later write of the attempt (spec R 10.7.3). Refused when rows of
  another attempt may have been read: the next attempt would put other bytes under the same offsets (R 10.7.4).

  KEYS[1] m  KEYS[2] h  KEYS[3] a  KEYS[4] v
  ARGV[1] handle  ARGV[2] token  ARGV[3] random token for the version  ARGV[4] versions to keep

  Returns 1, or 0
]]
local h = read_head(redis.call('HGET', KEYS[2], ARGV[1]))
if not h or (h.state ~= 'c' and h.state ~= 's') then return 0 end
if h.flag ~= 'n' or h.closed > 0 then return 0 end
if h.state == 's' and cjson.decode(redis.call('HGET', KEYS[3], ARGV[1])).token == ARGV[2] then return 1 end
redis.call('HSET', KEYS[3], ARGV[1], cjson.encode({ token = ARGV[2], parts = 0, in_chunk = 0 }))
if h.state == 'c' then
  h.state = 's'
  redis.call('HSET', KEYS[2], ARGV[1], write_head(h))
  bump(KEYS[1], KEYS[4], redis.call('HGET', KEYS[1], 'ver'), ARGV[3], ARGV[1], tonumber(ARGV[4]))
end
return 1
