--[[
  Ends a handle: no reader or writer starts with it any more and its definition is free (spec R 15.8). Also ends a snapshot
  attempt that failed (R 10.7.5), if it is still the current one.

  State, version and digest change together, or a router could append to a dead shape, or a dead shape be found again.

  KEYS[1] m  KEYS[2] h  KEYS[3] f  KEYS[4] d  KEYS[5] v  KEYS[6] x  KEYS[7] l:<handle>  KEYS[8] a  KEYS[9] u  KEYS[10] w
  ARGV[1] handle  ARGV[2] failure as JSON  ARGV[3] random token for the version  ARGV[4] versions to keep
  ARGV[5] token of the attempt that failed; empty to rotate whatever the state

  Returns 1; 2 if this attempt was ended before; else 0
]]
local handle = ARGV[1]
local h = read_head(redis.call('HGET', KEYS[2], handle))
if not h then return 0 end
if ARGV[5] ~= '' then
  local attempt = redis.call('HGET', KEYS[8], handle)
  if not attempt or cjson.decode(attempt).token ~= ARGV[5] then return 0 end
  if h.state == 'd' and h.failure == ARGV[2] then return 2 end
  if h.state ~= 's' and h.state ~= 'p' then return 0 end
end
if h.state == 'd' then return 0 end

local meta = redis.call('HMGET', KEYS[1], 'ver', 'vis')
-- A transaction that was applied half-way must not show when the shard moves on without the shape.
if h.state == 'l' and h.tail > meta[2] then
  h.tail = last_entry(KEYS[7], h, meta[2])
end
bury(KEYS[6], handle, h, ARGV[2])
redis.call('HSET', KEYS[2], handle, write_head(h))
redis.call('ZREM', KEYS[9], handle)
redis.call('ZREM', KEYS[10], handle)

unlist(KEYS[4], redis.call('HGET', KEYS[3], handle), handle)
bump(KEYS[1], KEYS[5], meta[1], ARGV[3], handle, tonumber(ARGV[4]))
return 1
