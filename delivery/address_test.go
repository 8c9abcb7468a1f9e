package delivery_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
)

func TestSenderTokens(t *testing.T) {
	t.Parallel()
	for address, token := range map[string]string{
		"whatsapp:+15550001000": "15550001000",
		service:                 service,
	} {
		require.Equal(t, token, delivery.SenderToken(address))
		require.Equal(t, address, delivery.SenderAddress(token))
		require.True(t, delivery.ValidSenderToken(token))
	}
	for _, address := range []string{"", "+15550001000", "15550001000", "whatsapp:US.abc", "MG01", "whatsapp:" + service, "whatsapp:+1555.0001000"} {
		require.Empty(t, delivery.SenderToken(address), address)
	}
	for _, token := range []string{"", "+15550001000", "015550001000", "123456", "1234567890123456", "US.abc", "a.b", "*", ">", "MG01"} {
		require.False(t, delivery.ValidSenderToken(token), token)
	}
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "491700000001", delivery.CustomerKey("whatsapp:+491700000001"))
	require.Equal(t, "US.abc", delivery.CustomerKey("whatsapp:US.abc"))
	for long, short := range map[string]string{
		"+5491123456789": "+541123456789", // a mobile number in Buenos Aires
		"+5212221234567": "+522221234567", // one in Puebla
	} {
		require.Equal(t, short[1:], delivery.CustomerKey("whatsapp:"+long))
		require.Equal(t, delivery.CustomerKey("whatsapp:"+short), delivery.CustomerKey("whatsapp:"+long))
		require.Equal(t, delivery.CustomerToken("whatsapp:"+short), delivery.CustomerToken("whatsapp:"+long))
	}
	for _, other := range []string{"549112345678", "54911234567890", "5511987654321", "AR.5491123456789"} {
		require.Equal(t, other, delivery.CustomerKey(other))
		require.Equal(t, other, delivery.CustomerKey("whatsapp:+"+other))
	}

	for address, earlier := range map[string]bool{
		"whatsapp:+5491123456789": true, "whatsapp:+541123456789": true, "whatsapp:+5215512345678": true, "whatsapp:+525512345678": true,
		"whatsapp:+551123456789": false, "whatsapp:+54112345678": false, "whatsapp:US.abcdefghi": false,
	} {
		token, ok := delivery.EarlierToken(address)
		require.Equal(t, earlier, ok, address)
		require.NotEqual(t, delivery.CustomerToken(address), token)
	}
	token := delivery.CustomerToken("whatsapp:US.a.b.c")
	require.Regexp(t, `^[0-9a-f]{32}$`, token, "one token of a subject")
	require.Equal(t, token, delivery.CustomerToken("US.a.b.c"))
	require.NotEqual(t, token, delivery.CustomerToken("whatsapp:US.a.b.d"))
}

func TestMask(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"whatsapp:+491700000001": "+49…01",
		"whatsapp:US.1349120865": "US.…65",
		"whatsapp:+12345":        "…",
		"":                       "…",
		"hello":                  "…",
	} {
		got := delivery.Mask(address)
		require.Equal(t, want, got)
		require.LessOrEqual(t, len(strings.ReplaceAll(got, "…", "")), 5)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for _, p := range delivery.Priorities() {
		for _, sender := range []string{"15550001000", service} {
			subject := delivery.JobSubject(p, sender)
			require.Equal(t, "sluice.jobs."+string(p)+"."+sender, subject)
			gotPriority, gotSender, err := delivery.ParseJobSubject(subject)
			require.NoError(t, err)
			require.Equal(t, p, gotPriority)
			require.Equal(t, sender, gotSender)
		}
	}
	for _, subject := range []string{
		"", "sluice.jobs", "sluice.jobs.", "sluice.jobs.high", "sluice.jobs.high.", "sluice.jobs.urgent.15550001000",
		"sluice.jobs..15550001000", "sluice.jobs.high.+15550001000", "sluice.jobs.high.15550001000.x",
		"sluice.jobs.high.*", "sluice.events.15550001000.sent", "xsluice.jobs.high.15550001000",
	} {
		_, _, err := delivery.ParseJobSubject(subject)
		require.ErrorContains(t, err, "subject", subject)
	}
	require.Equal(t, "sluice.events.15550001000.sent", delivery.EventSubject("15550001000", delivery.EventSent))
	require.Equal(t, "sluice.events.-.pool", delivery.EventSubject("", delivery.EventPool))
}
