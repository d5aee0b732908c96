--[[
  Removes records of shapes that are not there, and ends shapes whose definition is not (spec R 15.4.3, O F144).

  One step with the look at the heads, which are written together with the records.

  KEYS[1] h  KEYS[2] hash, set or zset to look at  KEYS[3] m  KEYS[4] v  KEYS[5] x  KEYS[6] f
  ARGV[1] what KEYS[2] is: hash, set, zset, prefixed (a zset whose members begin with the handle), digests, heads
  ARGV[2] failure of a shape without a definition  ARGV[3] random token for the version  ARGV[4] versions to keep
  ARGV[5..] members of KEYS[2]

  Returns how many were removed or ended
]]
local REMOVE = { hash = 'HDEL', set = 'SREM', zset = 'ZREM', prefixed = 'ZREM' }
local count = 0
for i = 5, #ARGV do
  local member = ARGV[i]
  if ARGV[1] == 'heads' then
    local text = redis.call('HGET', KEYS[1], member)
    if text and string.sub(text, 1, 1) ~= 'd' and redis.call('HEXISTS', KEYS[6], member) == 0 then
      local h = read_head(text)
      bury(KEYS[5], member, h, ARGV[2])
      redis.call('HSET', KEYS[1], member, write_head(h))
      bump(KEYS[3], KEYS[4], redis.call('HGET', KEYS[3], 'ver') or '1:', ARGV[3], member, tonumber(ARGV[4]))
      count = count + 1
    end
  elseif ARGV[1] == 'digests' then
    local named = redis.call('HGET', KEYS[2], member) or ''
    local kept, lost = {}, 0
    for handle in string.gmatch(named, '%S+') do
      if redis.call('HEXISTS', KEYS[1], handle) == 1 then kept[#kept + 1] = handle else lost = lost + 1 end
    end
    if lost > 0 and #kept == 0 then
      redis.call('HDEL', KEYS[2], member)
    elseif lost > 0 then
      redis.call('HSET', KEYS[2], member, table.concat(kept, ' '))
    end
    count = count + lost
  elseif redis.call('HEXISTS', KEYS[1], string.match(member, '^%S+')) == 0 then
    count = count + redis.call(REMOVE[ARGV[1]], KEYS[2], member)
  end
end
return count
