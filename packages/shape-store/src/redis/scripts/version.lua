--[[
  The version of a shard's set of shapes: a counter and the caller's random token (spec R 13.3.1a). The list of versions,
  newest first, says which handle each one changed; counters have no holes, so a version's place in it is known.
]]
local function bump(meta_key, versions_key, ver, token, handle, keep)
  local counter = tonumber(string.match(ver, '^(%d+):')) + 1
  local new = string.format('%d:%s', counter, token)
  redis.call('HSET', meta_key, 'ver', new)
  redis.call('LPUSH', versions_key, new .. ' ' .. handle)
  redis.call('LTRIM', versions_key, 0, keep - 1)
  return new
end

-- Creates the meta of a shard that nobody has used yet, on the server with that name (`node.lua`).
local function init_shard(meta_key, versions_key, token, node)
  local zero = '00000000000000000000-00000000000000000000'
  local ver = '1:' .. token
  redis.call('HSET', meta_key, 'epoch', '0', 'owner', '', 'ver', ver, 'cursor', '0 ' .. zero .. ' 0', 'vis', zero,
    'wm', '00000000000000000000', 'floor', '00000000000000000000', 'skip', 'new', 'issued', '0', 'node', node)
  redis.call('LPUSH', versions_key, ver .. ' -')
  return ver
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Takes a handle from those of its definition. `definition` is its record, which somebody may have deleted.
local function unlist(digests_key, definition, handle)
  if not definition then return end
  local digest = string.match(definition, '^%d+ %d+ ([^ \n]*)')
  local others = {}
  for other in string.gmatch(redis.call('HGET', digests_key, digest) or '', '%S+') do
    if other ~= handle then others[#others + 1] = other end
  end
  if #others == 0 then
    redis.call('HDEL', digests_key, digest)
  else
    redis.call('HSET', digests_key, digest, table.concat(others, ' '))
  end
end

-- Marks a shape dead. Its record stays for a while, so that readers learn why; `sweep` deletes it.
local function bury(dead_key, handle, h, failure)
  h.state = 'd'
  h.failure = failure
  redis.call('ZADD', dead_key, string.format('%d', now_ms()), handle)
end
