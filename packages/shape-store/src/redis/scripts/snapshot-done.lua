--[[
  Ends a snapshot attempt whose chunks are all closed; from here the pending log is promoted.

  The number of pieces is checked, as for each piece: a store that lost the last ones would end up with a snapshot that lacks rows
  (spec R 12.5.8). A snapshot of several segments has changed the pending log besides, which has no number: it must end on the
  server where it was gone on with.

  KEYS[1] m  KEYS[2] h  KEYS[3] a  KEYS[4] v
  ARGV[1] handle  ARGV[2] token  ARGV[3] random token for the version  ARGV[4] versions to keep
  ARGV[5] pieces written by this attempt, or -1 when the caller does not know

  Returns 1; 0 when the attempt is no longer current, or has lost something; -1 when a chunk is open, when there is none (a snapshot has at least its
  end message), or when the visibility was never recorded
]]
local h = read_head(redis.call('HGET', KEYS[2], ARGV[1]))
local text = redis.call('HGET', KEYS[3], ARGV[1])
if not h or not text then return 0 end
local attempt = cjson.decode(text)
if attempt.token ~= ARGV[2] then return 0 end
if h.state == 'p' then return 1 end
if h.state ~= 's' then return 0 end
local pieces = tonumber(ARGV[5])
if pieces >= 0 and attempt.parts ~= pieces then return 0 end
if attempt.resumed and attempt.node ~= node() then return 0 end
if attempt.in_chunk > 0 or h.closed == 0 or not attempt.xmin then return -1 end

attempt.from, attempt.tail, attempt.kept, attempt.open = ZERO_ID, ZERO_ID, 0, 0
redis.call('HSET', KEYS[3], ARGV[1], cjson.encode(attempt))
h.state = 'p'
h.flag = 'f'
redis.call('HSET', KEYS[2], ARGV[1], write_head(h))
bump(KEYS[1], KEYS[4], redis.call('HGET', KEYS[1], 'ver'), ARGV[3], ARGV[1], tonumber(ARGV[4]))
return 1
