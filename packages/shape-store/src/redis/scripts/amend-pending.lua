--[[
  Copies entries that wait for a snapshot into a second stream, changed on the way: a stream takes no entry before its last. The
  last call adds what came meanwhile, as it is, and puts the copy in the place of the log. In one step with the look at what
  came, or an append in between would be lost.

  KEYS[1] h  KEYS[2] a  KEYS[3] l:<handle>  KEYS[4] e:<handle>
  ARGV[1] handle  ARGV[2] token  ARGV[3] id up to which the calls before have copied; zeros for the first
  ARGV[4] id up to which this call copies  ARGV[5] 1 for the last call  ARGV[6] entries that it may add
  ARGV[7..] id, xid, bytes of each entry that stays

  Returns 1; 2 when more came meanwhile than the last call may add: the copy goes on; 0 when the attempt is no longer current;
  -1 when another call has begun a copy
]]
local handle = ARGV[1]
local h = read_head(redis.call('HGET', KEYS[1], handle))
if not h or h.state ~= 's' then return 0 end
local attempt = cjson.decode(redis.call('HGET', KEYS[2], handle))
if attempt.token ~= ARGV[2] then return 0 end
if ARGV[3] == ZERO_ID then
  redis.call('DEL', KEYS[4])
  attempt.copied, attempt.bytes = ZERO_ID, 0
end
if attempt.copied ~= ARGV[3] then return -1 end

local function keep(id, xid, bytes)
  redis.call('XADD', KEYS[4], id, xid, bytes)
  attempt.bytes = attempt.bytes + #bytes
end

for i = 7, #ARGV, 3 do keep(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
attempt.copied = ARGV[4]
local more = false
if ARGV[5] == '1' then
  -- Only up to `stored`: an append that died half-way may have left entries after it, and they will come again.
  local most = tonumber(ARGV[6])
  local rest = redis.call('XRANGE', KEYS[3], '(' .. attempt.copied, h.stored, 'COUNT', most + 1)
  more = #rest > most
  if not more then
    for _, entry in ipairs(rest) do keep(entry[1], entry[2][1], entry[2][2]) end
    h.entries, h.open = redis.call('XLEN', KEYS[4]), attempt.bytes
    if h.entries > 0 then redis.call('RENAME', KEYS[4], KEYS[3]) else redis.call('DEL', KEYS[3]) end
    attempt.copied, attempt.bytes = nil, nil
    redis.call('HSET', KEYS[1], handle, write_head(h))
  end
end
redis.call('HSET', KEYS[2], handle, cjson.encode(attempt))
return more and 2 or 1
