-- Part: what is set for senders and pools, and which pool a sender counts in.

local UNLIMITED = -1

-- asked is the pool of a sender whose policy names none.
local function read_sender(name, asked)
  local f = call('HMGET', sender_key .. name, 'pool', 'limit', 'mps', 'paused', 'reason',
    'optin', 'until', 'fault', 'member', 'rate', 'need0', 'need1', 'need2')
  return {
    name = name, pool = set(f[1]) or asked, set_limit = set(f[2]) or '',
    limit = tonumber(set(f[2]) or default_limit), mps = tonumber(set(f[3]) or default_mps),
    paused = f[4] == '1', reason = f[5] or '', require_opt_in = f[6] == '1',
    tripped_until = tonumber(set(f[7]) or '0'), fault = f[8] or '', member = set(f[9]),
    rate = tonumber(f[10] or '0'), need = { f[11], f[12], f[13] },
  }
end

-- A pool without a limit of its own has the largest of its senders'.
local function read_pool(name)
  local f = call('HMGET', pool_key .. name, 'limit', 'reserve', 'paused', 'reason', 'closed', 'top',
    'default', 'moving', 'need0', 'need1', 'need2')
  local limit = tonumber(set(f[1]) or f[6] or '0')
  if not set(f[1]) and f[7] == '1' and limit ~= UNLIMITED then
    limit = default_limit == UNLIMITED and UNLIMITED or math.max(limit, default_limit)
  end
  local reserved = 0
  if limit > 0 and set(f[2]) then
    -- 0.07 * 100 is a little more than 7, and must not be 8.
    reserved = math.ceil(tonumber(f[2]) * limit - 1e-9)
  end
  return {
    name = name, limit = limit, reserved = reserved, paused = f[3] == '1', reason = f[4] or '',
    closed = f[5] == '1', moving = tonumber(f[8] or '0') > 0, need = { f[9], f[10], f[11] },
  }
end
