-- Names this server and its history since it started: another name after every restart and failover, the only ways to lose what
-- was acknowledged. Empty when it does not say.
local function node()
  local server, replication = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
  if type(server) ~= 'string' or type(replication) ~= 'string' then return '' end
  local run, history = string.match(server, 'run_id:(%x+)'), string.match(replication, 'master_replid:(%x+)')
  return run and history and run .. history or ''
end
