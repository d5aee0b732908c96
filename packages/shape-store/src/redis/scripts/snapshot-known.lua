--[[
  Records what a snapshot sees, before its rows are read. Under the attempt's token, which must not come apart from it.
  Nothing is recorded when the snapshot does not show what `snapshot-doubts.lua` has remembered: another one will. What a
  snapshot sees that goes on with another one is recorded beside that.

  KEYS[1] h  KEYS[2] a  KEYS[3] q
  ARGV[1] handle  ARGV[2] token  ARGV[3..6] xmin, xmax, xip list, insert LSN; padded
  ARGV[7] by what the table was published, or empty

  Returns 'known', 'unseen', or 'over' when the attempt is no longer current
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if not h or h.state ~= 's' then return 'over' end
local attempt = cjson.decode(redis.call('HGET', KEYS[2], ARGV[1]))
if attempt.token ~= ARGV[2] then return 'over' end
attempt.beat = now_ms()
if h.flag ~= 'n' then
  if not attempt.resumed or not attempt.mark then return 'over' end
  local segments = attempt.segs or {}
  local last = segments[#segments]
  local known = last and last.xmin == ARGV[3] and last.xmax == ARGV[4] and last.xip == ARGV[5] and last.insert == ARGV[6]
  if not known then
    segments[#segments + 1] =
      { xmin = ARGV[3], xmax = ARGV[4], xip = ARGV[5], insert = ARGV[6], pub = ARGV[7], after = attempt.mark }
    attempt.segs = segments
  end
  redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(attempt))
  return 'known'
end
attempt.xmin, attempt.xmax, attempt.xip, attempt.insert, attempt.pub = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local xip = running(attempt)
for lsn, xid in string.gmatch(redis.call('HGET', KEYS[3], ARGV[1]) or '', '(%d+)-(%d+)') do
  if lsn > attempt.insert or not is_visible(attempt, xip, xid) then return 'unseen' end
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(attempt))
return 'known'
