--[[
  The handle of a definition, created when there is none (spec R 10.7.1). Find and create are one step, so that any number
  of callers get one handle; and reg_lsn is the cursor at the very moment that `ver` changes (R 10.6.1, R 13.3.1).

  A definition is found by its digest and compared in full. The digest may still name a handle that died in an append.

  KEYS[1] m  KEYS[2] d  KEYS[3] f  KEYS[4] h  KEYS[5] v  KEYS[6] k
  ARGV[1] digest  ARGV[2] definition  ARGV[3] fingerprint  ARGV[4] JSON bytes at which a chunk closes
  ARGV[5] first half of a new handle  ARGV[6] random token for the version  ARGV[7] versions to keep
  ARGV[8] 1 to have old entries of the log merged
  ARGV[9] second half of a handle that was issued, as known elsewhere  ARGV[10] above all that may have been since
  ARGV[11] 1 to make it also while the owner holds registrations
  ARGV[12] trace context of the request, or empty

  Returns {handle, 1 if created else 0}, or {'', 0} while they are held
]]
local others = {}
for handle in string.gmatch(redis.call('HGET', KEYS[2], ARGV[1]) or '', '%S+') do
  local h = read_head(redis.call('HGET', KEYS[4], handle))
  if h and h.state ~= 'd' then
    local definition = string.match(redis.call('HGET', KEYS[3], handle), '^[^\n]*\n([^\n]*)\n')
    if definition == ARGV[2] then return { handle, 0 } end
    others[#others + 1] = handle
  end
end

local meta = redis.call('HMGET', KEYS[1], 'ver', 'cursor', 'issued', 'hold')
if meta[4] == '1' and ARGV[11] ~= '1' then return { '', 0 } end
if not meta[1] then
  init_shard(KEYS[1], KEYS[5], ARGV[6], node())
  meta = redis.call('HMGET', KEYS[1], 'ver', 'cursor', 'issued')
end

-- Unique for ever: the clock, but always more than the last one, also than one that the store has lost (R 15.2.2).
local time = redis.call('TIME')
local last = tonumber(meta[3])
if last < tonumber(ARGV[9]) then last = math.max(last, tonumber(ARGV[10])) end
local issued = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), last + 1)
local handle = string.format('%s-%.0f', ARGV[5], issued)
while redis.call('HEXISTS', KEYS[4], handle) == 1 do
  issued = issued + 1
  handle = string.format('%s-%.0f', ARGV[5], issued)
end
local registered = string.match(meta[2], '^%d+ (%d+)')

redis.call('HSET', KEYS[3], handle,
  registered .. ' ' .. ARGV[4] .. ' ' .. ARGV[1] .. (ARGV[12] == '' and '' or ' ' .. ARGV[12]) .. '\n'
    .. ARGV[2] .. '\n' .. ARGV[3])
redis.call('HSET', KEYS[4], handle, write_head({
  state = 'c', stored = ZERO_ID, tail = ZERO_ID, entries = 0, open = 0, limit = tonumber(ARGV[4]), filter = ZERO_LSN,
  closed = 0, flag = 'n', log = 0, snap = 0, held = 0, last = NONE, sealed = NONE, failure = '',
}))
others[#others + 1] = handle
redis.call('HSET', KEYS[2], ARGV[1], table.concat(others, ' '))
redis.call('HSET', KEYS[1], 'issued', string.format('%.0f', issued))
if ARGV[8] == '1' then redis.call('SADD', KEYS[6], handle) end
bump(KEYS[1], KEYS[5], meta[1], ARGV[6], handle, tonumber(ARGV[7]))
return { handle, 1 }
