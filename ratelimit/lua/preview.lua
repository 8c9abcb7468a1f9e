-- Sorts customers by what a message to them would need, and reads the rules
-- that it would meet. Writes nothing.
--
-- KEYS 1 sender  2 sender's window
-- ARGV 2 sender  3 pool that its requests name  4… customers
-- Returns the sender's pool, its limit, reserve, used, next free at, paused,
--      closed and now; the sender's limit, used, rate, next free at, paused,
--      tripped until; how many customers are opted out, in a service window,
--      known, new; all as text.

local sender = read_sender(ARGV[2], ARGV[3])
local pool = read_pool(sender.pool)
if sender.member ~= pool.name and not set(call('HGET', POOL_KEY .. pool.name, 'limit')) then
  -- Its first job would make it a member, whose limit the pool may take over.
  local reserve = tonumber(set(call('HGET', POOL_KEY .. pool.name, 'reserve')) or '0')
  pool.limit = (pool.limit < 0 or sender.limit < 0) and UNLIMITED or math.max(pool.limit, sender.limit)
  pool.reserved = pool.limit > 0 and math.ceil(reserve * pool.limit - 1e-9) or 0
end
local pool_window = POOL_WINDOW_KEY .. pool.name

local function opted_out(customer)
  local said = call('HMGET', CUSTOMER_KEY .. customer, sender.name, '*')
  local opted_in = false
  for i = 1, 2 do
    local choice = said[i] and string.match(said[i], '^%a+')
    if choice == 'out' then
      return true
    end
    opted_in = opted_in or choice == 'in'
  end
  return sender.require_opt_in and not opted_in
end

local function in_window(customer)
  local wrote = call('GET', INBOUND_KEY .. sender.name .. ':' .. customer)
  return wrote and now < tonumber(wrote) + SERVICE
end

local out, inside, known, new = 0, 0, 0, 0
for i = 4, #ARGV do
  local customer = canonical(ARGV[i])
  if opted_out(customer) then
    out = out + 1
  elseif in_window(customer) then
    inside = inside + 1
  elseif (score_of(KEYS[2], customer) or 0) > cutoff and (score_of(pool_window, customer) or 0) > cutoff then
    known = known + 1
  else
    new = new + 1
  end
end

local paused = call('HGET', GATE_KEY, 'paused') == '1' or pool.paused
local tripped = sender.tripped_until > now
return {
  pool.name, us(pool.limit), us(pool.reserved), us(used(pool_window)), text(first_back(pool_window)),
  paused and '1' or '', (pool.closed or pool.moving) and '1' or '', us(now),
  us(sender.limit), us(used(KEYS[2])), tostring(sender.set_mps), text(first_back(KEYS[2])),
  sender.paused and '1' or '', tripped and us(sender.tripped_until) or '',
  us(out), us(inside), us(known), us(new),
}
