--[[
  Applies a step, or one part of it, to the logs of a shard (spec R 12.3).

  That the caller still owns the shard, that it knows all its shapes, that nobody applied the step before, and the writes
  that follow from it must not come apart. The shard's cursor and visible position are written last, so a script that dies
  half-way has changed nothing that counts and is simply repeated: ids that the stream already has are counted, not stored
  again, because the stream may be ahead of the head that was not written.

  A step of many entries is applied by several calls (R 12.3.1). Only the last one moves the cursor; until then every call
  runs under the same condition, and what the earlier ones stored lies beyond the visible position. `part` chains them: a
  call that failed must not be followed by its successors, or the entries it carried would later be skipped as stored.

  KEYS[1] m  KEYS[2] r  KEYS[3] h  KEYS[4] a  KEYS[5] c  KEYS[6] v  KEYS[7] x
  KEYS[8..]   l:<handle> of each group
  ARGV[1..4]  epoch, owner, ver, cursor the caller worked from
  ARGV[5]     part that must have run before; empty for the first call of a step
  ARGV[6]     name of this part; empty for the last call of a step
  ARGV[7]     cursor to move to                             \
  ARGV[8]     visible position to move to, or empty          | with the last call only
  ARGV[9]     watermark to move to, or empty                 |
  ARGV[10]    xid below which the ring may forget, or empty /
  ARGV[11]    random token for a new version
  ARGV[12]    bytes and ARGV[13] entries that a pending log may hold
  ARGV[14]    transactions that the ring may hold, ARGV[15] versions to keep
  ARGV[16]    failure of an overflow, ARGV[17] failure of a shape whose stream is gone
  ARGV[18]    transactions of the whole step, R: ARGV[19] ring items, G: ARGV[20] groups
  ARGV[21..]  R items '<lsn>-<xid>'; G handles; G counts; G notes of what the newest entry of the group comes from, or empty; for
              each entry of each group: id, xid, bytes

  Returns 'ok', or what differs: 'epoch', 'ver', 'cursor', 'part'
]]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'ver', 'cursor', 'part', 'vis', 'wm', 'xmin')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] then return 'epoch' end
if meta[3] ~= ARGV[3] then return 'ver' end
if meta[4] ~= ARGV[4] then return 'cursor' end
if ARGV[5] ~= '' and meta[5] ~= ARGV[5] then return 'part' end

local ring_size, groups = tonumber(ARGV[19]), tonumber(ARGV[20])
local first_handle = 21 + ring_size
local first_count = first_handle + groups
local first_note = first_count + groups
local arg = first_note + groups
local pending_bytes, pending_entries = tonumber(ARGV[12]), tonumber(ARGV[13])

local heads = groups > 0 and redis.call('HMGET', KEYS[3], unpack(ARGV, first_handle, first_count - 1)) or {}
local changed, n = {}, 0
local ver = meta[3]

for g = 1, groups do
  local count = tonumber(ARGV[first_count + g - 1])
  local last = arg + 3 * (count - 1)
  local h = heads[g] and string.sub(heads[g], 1, 1) ~= 'd' and read_head(heads[g])
  if h and ARGV[last] > h.stored then
    local handle, key = ARGV[first_handle + g - 1], KEYS[7 + g]
    local live, attempt, xip = h.state == 'l', nil, nil
    local open, stored, entries, tail = h.open, h.stored, h.entries, h.tail
    local added, failure = 0, nil
    for j = arg, last, 3 do
      local id = ARGV[j]
      if id > stored then
        local bytes = ARGV[j + 2]
        local keep = true
        if h.filter ~= ZERO_LSN and live then
          if string.sub(id, 1, 20) > h.filter then
            h.filter = ZERO_LSN
          else
            attempt = attempt or cjson.decode(redis.call('HGET', KEYS[4], handle))
            xip = xip or running(attempt)
            keep = not is_visible(attempt, xip, pad(ARGV[j + 1]))
            -- A call that died before the shape was promoted may have stored it.
            if not keep then redis.call('XDEL', key, id) end
          end
        end
        if not live and (entries + 1 > pending_entries or open + #bytes > pending_bytes) then
          failure = ARGV[16]
          break
        end
        if keep then
          local reply
          if tail == ZERO_ID then
            reply = redis.pcall('XADD', key, id, live and 'j' or ARGV[j + 1], bytes)
          else
            -- A log that had entries has a stream, if an empty one: otherwise somebody deleted it (spec O F146).
            reply = redis.pcall('XADD', key, 'NOMKSTREAM', id, 'j', bytes)
            if not reply then
              failure = ARGV[17]
              break
            end
          end
          if type(reply) == 'table' and not string.find(reply.err, 'equal or smaller', 1, true) then return reply end
          entries = entries + 1
          open = open + #bytes
          if live then
            tail = id
            added = added + #bytes
            if open >= h.limit then
              redis.call('ZADD', KEYS[5], 0, chunk_end(handle, id))
              open = 0
              h.last = id
            end
          end
        end
        stored = id
      end
    end
    h.open, h.stored, h.entries, h.tail = open, stored, entries, tail
    h.log, h.held = h.log + added, h.held + added
    -- Until the shape dies there is no failure. A note of an entry before would be told for that of this one.
    if added > 0 then h.failure = ARGV[first_note + g - 1] end
    if failure then
      bury(KEYS[7], handle, h, failure)
      ver = bump(KEYS[1], KEYS[6], ver, ARGV[11], handle, tonumber(ARGV[15]))
    end
    changed[n + 1], changed[n + 2] = handle, write_head(h)
    n = n + 2
  end
  arg = last + 3
end
if n > 0 then redis.call('HSET', KEYS[3], unpack(changed, 1, n)) end

-- The ring is in commit order, so what it already has is a prefix of the items.
if ring_size > 0 then
  local newest = redis.call('LINDEX', KEYS[2], -1)
  local from, to = 21, 20 + ring_size
  while newest and from <= to and string.sub(ARGV[from], 1, 20) <= string.sub(newest, 1, 20) do from = from + 1 end
  for i = from, to, 1000 do redis.call('RPUSH', KEYS[2], unpack(ARGV, i, math.min(i + 999, to))) end
end

if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'part', ARGV[6])
  return 'ok'
end

-- Forget what every later snapshot shows, a bounded number per call but always more than came in.
local xmin = meta[8] or ZERO_LSN
if ARGV[10] > xmin then xmin = ARGV[10] end
if xmin ~= ZERO_LSN then
  local budget, dropped, more = 1000 + tonumber(ARGV[18]), 0, true
  while more and dropped < budget do
    local page = redis.call('LRANGE', KEYS[2], dropped, dropped + 199)
    more = #page == 200
    for _, item in ipairs(page) do
      if string.sub(item, 22) >= xmin then
        more = false
        break
      end
      dropped = dropped + 1
    end
  end
  if dropped > 0 then redis.call('LTRIM', KEYS[2], dropped, -1) end
end
local excess = redis.call('LLEN', KEYS[2]) - tonumber(ARGV[14])
if excess > 0 then
  -- The newest xid among those that go: commit order is not the order of xids.
  local floor = redis.call('HGET', KEYS[1], 'floor')
  for from = 0, excess - 1, 1000 do
    for _, item in ipairs(redis.call('LRANGE', KEYS[2], from, math.min(from + 999, excess - 1))) do
      if string.sub(item, 22) > floor then floor = string.sub(item, 22) end
    end
  end
  redis.call('LTRIM', KEYS[2], excess, -1)
  redis.call('HSET', KEYS[1], 'floor', floor)
end

local visible = ARGV[8] > meta[6] and ARGV[8] or meta[6]
local watermark = ARGV[9] > meta[7] and ARGV[9] or meta[7]
redis.call('HSET', KEYS[1], 'cursor', ARGV[7], 'vis', visible, 'wm', watermark, 'xmin', xmin, 'part', '', 'hold', '')
return 'ok'
