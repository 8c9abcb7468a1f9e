package messaging_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
)

func TestAccountNeverShowsItsSecrets(t *testing.T) {
	t.Parallel()
	for _, account := range []messaging.Account{
		{SID: "AC1", AuthToken: "hush-token"},
		{SID: "AC1", AuthToken: "hush-token", KeySID: "SK1", KeySecret: "hush-key"},
		{SID: "AC1", KeySID: "SK1", KeySecret: "hush-key"},
		{SID: "AC1", AuthToken: "hush-token", KeySecret: "hush-key"},
	} {
		var log bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&log, nil))
		logger.Info("x", "account", account, "nested", struct{ A messaging.Account }{account})
		encoded, err := json.Marshal(map[string]any{"account": account})
		require.NoError(t, err)

		shown := fmt.Sprintf("%v|%+v|%#v|%s|%q|", account, account, account, account, account) +
			fmt.Sprintf("%+v|%+v", &account, struct{ A messaging.Account }{account}) +
			log.String() + string(encoded)
		require.NotContains(t, shown, "hush")
		require.Contains(t, shown, "AC1")
	}
}
