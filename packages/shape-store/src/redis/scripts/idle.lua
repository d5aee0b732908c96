-- Whether a key has not been touched for that long.
local function is_idle(key, grace_ms)
  -- A server that evicts by frequency cannot tell.
  local idle = redis.pcall('OBJECT', 'IDLETIME', key)
  return type(idle) == 'number' and idle * 1000 >= tonumber(grace_ms)
end
