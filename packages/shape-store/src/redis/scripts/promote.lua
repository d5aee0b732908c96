--[[
  Takes pending entries into the log through the snapshot's filter (spec R 10.6.4), a bounded number per call. The call that
  finds no more makes the shape live.

  The pending log is the log's own stream, unreadable until the shape is live: entries that stay are counted where they are,
  and only those that the snapshot shows are deleted. An entry's field name is its xid. Counting and the end of `pending` are
  one step with the look at the stream, or an append in between would be neither pending nor in the log.

  KEYS[1] m  KEYS[2] h  KEYS[3] a  KEYS[4] c  KEYS[5] v  KEYS[6] l:<handle>
  ARGV[1] handle  ARGV[2] entries to take  ARGV[3] random token for the version  ARGV[4] versions to keep

  Returns how many entries are left, or nil when the shape is not promoting
]]
local handle = ARGV[1]
local h = read_head(redis.call('HGET', KEYS[2], handle))
if not h or h.state ~= 'p' then return false end
local attempt = cjson.decode(redis.call('HGET', KEYS[3], handle))
local xip = running(attempt)

-- Only up to `stored`: an append that died half-way may have left entries after it, and they will come again.
local page = redis.call('XRANGE', KEYS[6], '(' .. attempt.from, h.stored, 'COUNT', ARGV[2])
local drop, bytes = {}, 0
for _, entry in ipairs(page) do
  local id = pad_id(entry[1])
  bytes = bytes + #entry[2][2]
  if string.sub(id, 1, 20) <= attempt.insert and is_visible(attempt, xip, pad(entry[2][1])) then
    drop[#drop + 1] = entry[1]
  else
    attempt.kept = attempt.kept + 1
    attempt.open = attempt.open + #entry[2][2]
    attempt.tail = id
    h.log, h.held = h.log + #entry[2][2], h.held + #entry[2][2]
    if attempt.open >= h.limit then
      redis.call('ZADD', KEYS[4], 0, chunk_end(handle, id))
      attempt.open = 0
      h.last = id
    end
  end
  attempt.from = id
end
for i = 1, #drop, 1000 do redis.call('XDEL', KEYS[6], unpack(drop, i, math.min(i + 999, #drop))) end

h.entries, h.open = h.entries - #page, h.open - bytes
if #page < tonumber(ARGV[2]) then h.entries = 0 end
local left = h.entries
if left == 0 then
  h.state, h.tail, h.entries, h.open, h.filter = 'l', attempt.tail, attempt.kept, attempt.open, attempt.insert
  -- An empty stream still weighs kilobytes; the next entry creates it again.
  if attempt.kept == 0 then redis.call('DEL', KEYS[6]) end
  bump(KEYS[1], KEYS[5], redis.call('HGET', KEYS[1], 'ver'), ARGV[3], handle, tonumber(ARGV[4]))
end
redis.call('HSET', KEYS[3], handle, cjson.encode(attempt))
redis.call('HSET', KEYS[2], handle, write_head(h))
return left
