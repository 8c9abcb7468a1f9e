package dispatcher

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/internal/messaging"
)

// constants reads the values of a file's string constants of one type.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	var values []string
	for node := range ast.Preorder(parsed) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			continue
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typeName {
			continue
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			require.NoError(t, err)
			values = append(values, text)
		}
	}
	require.NotEmpty(t, values)
	return values
}

func TestEveryClassMeansSomethingForTheJob(t *testing.T) {
	t.Parallel()
	classes := constants(t, "../internal/messaging/class.go", "Class")
	require.Len(t, kinds, len(classes))
	faults := constants(t, "../delivery/fault.go", "FaultKind")
	for _, class := range classes {
		kind, mapped := kinds[messaging.Class(class)]
		require.True(t, mapped, "class %s", class)
		require.Contains(t, faults, string(kind), "class %s", class)
		// Not knowing must neither be read into an answer nor out of one.
		require.Equal(t, class == string(messaging.Unknown), kind == delivery.FaultUnknown, "class %s", class)
	}
}

func TestFaultKeepsWhatTheProviderSaid(t *testing.T) {
	t.Parallel()
	require.Nil(t, fault(nil))
	said := fault(&messaging.Failure{Class: messaging.Limit, Code: 63018, Message: "limit", RetryAfter: time.Minute})
	require.Equal(t, &delivery.Fault{Kind: delivery.FaultLimit, Code: 63018, Message: "limit", RetryAfter: time.Minute}, said)
}

func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	t.Parallel()
	require.Equal(t, delivery.FaultUnknown, fault(errors.New("some other error")).Kind)
	require.Equal(t, delivery.FaultUnknown, fault(&messaging.Failure{Class: "invented later"}).Kind)
}

func TestDecideKnowsEveryKind(t *testing.T) {
	t.Parallel()
	decided := map[delivery.FaultKind]bool{}
	for _, kind := range constants(t, "../delivery/fault.go", "FaultKind") {
		step := Decide(Policy{MaxAttempts: 2}, delivery.Task{Attempt: 1}, Outcome{Fault: &delivery.Fault{Kind: delivery.FaultKind(kind)}})
		require.NotNil(t, step.Event, kind)
		decided[delivery.FaultKind(kind)] = step.GiveBack
	}
	for kind, freed := range decided {
		require.Equal(t, kind != delivery.FaultUnknown, freed, "slot after %s", kind)
	}
}
