--[[
  Starts a snapshot attempt; its token fences every later write of the attempt (spec R 10.7.3). Refused while another attempt's
  lease runs by the store's clock, and when rows of another attempt may have been read: the next one would put other bytes
  under the same offsets (R 10.7.4). So they may if this is not the server to which the attempt was made known, whatever it has. Unless it can go on behind what was marked last: then it takes over all that the other one
  has recorded, if this is the server, and not one that may know less, to which that was written (R 12.5.8). One step, or two
  attempts could begin.

  KEYS[1] m  KEYS[2] h  KEYS[3] a  KEYS[4] v  KEYS[5] e:<handle>
  ARGV[1] handle  ARGV[2] token  ARGV[3] random token for the version  ARGV[4] versions to keep  ARGV[5] lease in ms
  ARGV[6] how often a snapshot may be gone on with

  Returns 'begun', 'alive', 'resumed', 'readable' or 'over'
]]
local h = read_head(redis.call('HGET', KEYS[2], ARGV[1]))
if not h or (h.state ~= 'c' and h.state ~= 's') then return 'over' end
local now = now_ms()
if h.state == 's' then
  local attempt = cjson.decode(redis.call('HGET', KEYS[3], ARGV[1]))
  local same = attempt.token == ARGV[2]
  if not same and now - (attempt.beat or 0) < tonumber(ARGV[5]) then return 'alive' end
  if h.flag ~= 'n' or h.closed > 0 then
    if same then return attempt.fresh and 'resumed' or 'readable' end
    local times = attempt.resumed or 0
    if not attempt.mark or times >= tonumber(ARGV[6]) then return 'readable' end
    if attempt.node == '' or attempt.node ~= node() then return 'readable' end
    attempt.token, attempt.beat, attempt.parts, attempt.last = ARGV[2], now, 0, nil
    attempt.resumed, attempt.fresh, attempt.copied = times + 1, true, nil
    redis.call('DEL', KEYS[5])
    redis.call('HSET', KEYS[3], ARGV[1], cjson.encode(attempt))
    return 'resumed'
  end
  if same then return 'begun' end
  if attempt.node == '' or attempt.node ~= node() then return 'readable' end
end
redis.call('HSET', KEYS[3], ARGV[1], cjson.encode({ token = ARGV[2], parts = 0, in_chunk = 0, beat = now, node = node() }))
if h.state == 'c' then
  h.state = 's'
  redis.call('HSET', KEYS[2], ARGV[1], write_head(h))
  bump(KEYS[1], KEYS[4], redis.call('HGET', KEYS[1], 'ver'), ARGV[3], ARGV[1], tonumber(ARGV[4]))
end
return 'begun'
