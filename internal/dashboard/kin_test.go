package dashboard_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestTheDescriptionIsOpenAPI holds the description against OpenAPI 3.1, and
// the answers of every route against it, as another implementation reads both.
func TestTheDescriptionIsOpenAPI(t *testing.T) {
	t.Parallel()
	w := withEverything(t)
	described := w.do("GET", "/openapi.yaml", "")
	require.Equal(t, http.StatusOK, described.status)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(described.text))
	require.NoError(t, err)
	require.True(t, doc.IsOpenAPI31OrLater())
	require.NoError(t, doc.Validate(t.Context()))

	d := describe(t, w)
	w.askAll(func(method, path string, r reply) {
		route := d.route(t, method, path)
		responses := doc.Paths.Value(route[1]).GetOperation(method).Responses
		response := responses.Value(strconv.Itoa(r.status))
		if response == nil {
			response = responses.Default()
		}
		kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
		var body any = r.text
		if kind == "application/json" {
			require.NoError(t, json.Unmarshal([]byte(r.text), &body))
		}
		schema := response.Value.Content.Get(kind).Schema.Value
		require.NoError(t, schema.VisitJSON(body, openapi3.EnableJSONSchema2020(), openapi3.EnableFormatValidation()), "%s %s: %s", method, path, r.text)
	})
}
