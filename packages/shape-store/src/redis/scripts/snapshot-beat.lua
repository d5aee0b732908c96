--[[
  Renews the lease of a snapshot attempt, or gives it up (spec R 10.7.4). Under the attempt's token, which must not come apart
  from it. The time is the store's: clocks of two snapshotters need not agree.

  KEYS[1] h  KEYS[2] a
  ARGV[1] handle  ARGV[2] token  ARGV[3] 1 to renew, 0 to give up

  Returns 1, or 0 when the attempt is no longer current
]]
local h = read_head(redis.call('HGET', KEYS[1], ARGV[1]))
if not h or h.state ~= 's' then return 0 end
local attempt = cjson.decode(redis.call('HGET', KEYS[2], ARGV[1]))
if attempt.token ~= ARGV[2] then return 0 end
attempt.beat = ARGV[3] == '1' and now_ms() or 0
redis.call('HSET', KEYS[2], ARGV[1], cjson.encode(attempt))
return 1
