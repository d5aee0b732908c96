--[[
  The head of a shape: everything an append or a reader needs of it, as one text, so that the heads of all shapes of a
  call are read and written with one command each.

    state    c creating, s snapshotting, p promoting, l live, d dead
    stored   id of the last entry taken in, also of one that the snapshot's filter dropped; entries up to it are skipped
    tail     id of the last entry of the log; zeros while there is none
    entries  live: entries of the log; before: entries pending
    open     live: JSON bytes of the open chunk; before: JSON bytes pending
    limit    JSON bytes at which a chunk closes
    filter   LSN up to which entries pass the snapshot's filter; zeros when the shard is past it
    closed   snapshot chunks closed
    flag     n no snapshot data, r chunk 0 is readable, f every chunk is closed, z and compressed
    log      JSON bytes of the log's entries
    snap     JSON bytes of the snapshot
    held     bytes of both as they are held here: less once they are compressed
    last     id of the last closed chunk's end, or -
    sealed   id of the end of the last sealed chunk, or -; entries up to it are no longer in the stream
    failure  why a dead shape died, as JSON; before that, what is noted of the newest entry (`note.ts`); or empty
]]
local ZERO_ID = '00000000000000000000-00000000000000000000'
local ZERO_LSN = '00000000000000000000'
-- The state and the two ids have a fixed width: cutting is cheaper than matching, and this runs for every shape of an append.
local COUNTERS = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%l) (%d+) (%d+) (%d+) (%S+) (%S+) (.*)$'
local NONE = '-'

local function read_head(text)
  if not text then return nil end
  local entries, open, limit, filter, closed, flag, log, snap, held, last, sealed, failure =
    string.match(text, COUNTERS, 87)
  return {
    state = string.sub(text, 1, 1), stored = string.sub(text, 3, 43), tail = string.sub(text, 45, 85),
    entries = tonumber(entries), open = tonumber(open), limit = tonumber(limit), filter = filter,
    closed = tonumber(closed), flag = flag, log = tonumber(log), snap = tonumber(snap), held = tonumber(held),
    last = last, sealed = sealed, failure = failure,
  }
end

-- Counters stay far below 10^14, up to which Lua writes a number in full.
local function write_head(h)
  return h.state .. ' ' .. h.stored .. ' ' .. h.tail .. ' ' .. h.entries .. ' ' .. h.open .. ' ' .. h.limit .. ' '
    .. h.filter .. ' ' .. h.closed .. ' ' .. h.flag .. ' ' .. h.log .. ' ' .. h.snap .. ' ' .. h.held .. ' '
    .. h.last .. ' ' .. h.sealed .. ' ' .. h.failure
end

local function pad(digits)
  return string.rep('0', 20 - #digits) .. digits
end

-- '12-3' as Redis writes it -> padded
local function pad_id(id)
  local lsn, op = string.match(id, '^(%d+)-(%d+)$')
  return pad(lsn) .. '-' .. pad(op)
end

-- The set of transactions that were running, from the padded list of an attempt.
local function running(attempt)
  local set = {}
  for xid in string.gmatch(attempt.xip or '', '%d+') do set[xid] = true end
  return set
end

-- Whether the snapshot shows a transaction (spec R 10.6.4). xid is padded.
local function is_visible(attempt, xip, xid)
  return xid < attempt.xmin or (xid < attempt.xmax and not xip[xid])
end

-- The member of the chunk index for a chunk that ends with an entry. `seal.lua` adds where its entries went.
local function chunk_end(handle, id)
  return handle .. ' ' .. id
end

-- The last entry of a log at or before an id, padded; zeros when there is none. What is sealed left the stream.
local function last_entry(log_key, h, id)
  local seen = redis.call('XREVRANGE', log_key, id, '-', 'COUNT', 1)[1]
  if seen then return pad_id(seen[1]) end
  return h.sealed == NONE and ZERO_ID or h.sealed
end
