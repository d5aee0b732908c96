--[[
  Appends a piece to the open snapshot chunk, under the attempt's token, and renews the attempt's lease.

  The number of pieces that came before is a second check: a call whose answer was lost may be repeated, and an attempt
  whose beginning was lost by the store fails (spec R 12.5.8).

  KEYS[1] h  KEYS[2] a  KEYS[3] b:<handle>:<chunk>
  ARGV[1] handle  ARGV[2] token  ARGV[3] chunk  ARGV[4] 1 to close it
  ARGV[5] pieces written before by this attempt, or -1 when the caller does not know
  ARGV[6] bytes, which may be empty  ARGV[7] mark, or empty

  Returns 1, or 0 when the attempt is no longer current
]]
local handle, chunk, before = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[5])
local h = read_head(redis.call('HGET', KEYS[1], handle))
if not h or h.state ~= 's' then return 0 end
local attempt = cjson.decode(redis.call('HGET', KEYS[2], handle))
if attempt.token ~= ARGV[2] then return 0 end

local print = ARGV[3] .. ARGV[4] .. redis.sha1hex(ARGV[6])
if before >= 0 and attempt.parts == before + 1 and attempt.last == print then return 1 end
if before >= 0 and attempt.parts ~= before then return 0 end
if chunk ~= h.closed then return 0 end

if #ARGV[6] > 0 then
  redis.call('RPUSH', KEYS[3], ARGV[6])
  attempt.in_chunk = attempt.in_chunk + 1
  h.snap, h.held = h.snap + #ARGV[6], h.held + #ARGV[6]
end
attempt.parts = attempt.parts + 1
attempt.beat = now_ms()
attempt.last = print
-- With the piece, or a snapshot could be gone on with before or behind where it stands.
attempt.mark = ARGV[7] ~= '' and ARGV[7] or nil
attempt.fresh = nil
if #ARGV[6] > 0 or ARGV[4] == '1' then h.flag = 'r' end
if ARGV[4] == '1' then
  h.closed = h.closed + 1
  attempt.in_chunk = 0
end
redis.call('HSET', KEYS[2], handle, cjson.encode(attempt))
redis.call('HSET', KEYS[1], handle, write_head(h))
return 1
