package sockets

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A raceStep is an address of the tests: how long it takes to connect, and whether
// that fails.
type raceStep struct {
	takes time.Duration
	err   error
}

func TestRace(t *testing.T) {
	refused := errors.New("refused")
	const never = time.Hour
	for _, test := range []struct {
		name  string
		list  []raceStep
		want  int // who wins; -1: nobody
		after time.Duration
		tried int
	}{
		{"one", []raceStep{{time.Second, nil}}, 0, time.Second, 1},
		{"dead first", []raceStep{{never, nil}, {0, nil}}, 1, attemptDelay, 2},
		{"refused first", []raceStep{{0, refused}, {0, refused}, {time.Millisecond, nil}}, 2, time.Millisecond, 3},
		{"slow first", []raceStep{{300 * time.Millisecond, nil}, {time.Second, nil}}, 0, 300 * time.Millisecond, 2},
		{"all refused", []raceStep{{0, refused}, {time.Second, refused}, {0, refused}}, -1, time.Second, 3},
		{"seven dead, one good", append(slices.Repeat([]raceStep{{never, nil}}, 7), raceStep{0, nil}), 7, 7 * attemptDelay, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				tried, running, most := 0, 0, 0
				list := make([]int, len(test.list))
				for i := range list {
					list[i] = i
				}
				begun := time.Now()
				won, errs := race(t.Context(), list, func(ctx context.Context, at int) (*int, error) {
					mu.Lock()
					tried++
					running++
					most = max(most, running)
					mu.Unlock()
					defer func() {
						mu.Lock()
						running--
						mu.Unlock()
					}()
					select {
					case <-time.After(test.list[at].takes):
						return &at, test.list[at].err
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				}, func(*int) {})
				switch {
				case test.want < 0 && (won != nil || !slices.Equal(errs, []error{refused, refused, refused})):
					t.Errorf("won by %v, errors %v", won, errs)
				case test.want >= 0 && (won == nil || *won != test.want):
					t.Errorf("won by %v, want %d; errors %v", won, test.want, errs)
				}
				if took := time.Since(begun); took != test.after || tried != test.tried || most > maxAttempts || running != 0 {
					t.Errorf("took %v, want %v; %d attempts, want %d, at most %d at a time; %d left", took, test.after, tried, test.tried, most, running)
				}
			})
		})
	}
}

func TestRaceEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, errs := race(ctx, []int{1, 2, 3, 4, 5, 6, 7, 8}, func(ctx context.Context, _ int) (*int, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, func(*int) {})
		if took := time.Since(begun); took != time.Second || !errors.Is(raceError(ctx, errs), context.DeadlineExceeded) {
			t.Errorf("took %v, errors %v", took, errs)
		}
	})
}

func TestAlternate(t *testing.T) {
	for _, test := range []struct{ list, want string }{
		{"6a 6b 6c 4a 4b", "6a 4a 6b 4b 6c"}, {"4a 6a 6b", "4a 6a 6b"}, {"6a", "6a"}, {"4a 4b", "4a 4b"},
	} {
		got := alternate(strings.Fields(test.list), func(s string) Family { return Family(s[0]) })
		if fmt.Sprint(got) != "["+test.want+"]" {
			t.Errorf("%s: %v, want %s", test.list, got, test.want)
		}
	}
}

// A list of one costs no goroutine: a fresh one's stack has to grow for netstack.
func TestRaceOfOneStaysHere(t *testing.T) {
	for _, refused := range []error{nil, errors.New("refused")} {
		got, errs := race(t.Context(), []int{7}, func(_ context.Context, at int) (int, error) {
			if stack := string(debug.Stack()); !strings.Contains(stack, t.Name()) {
				t.Errorf("dialled by another goroutine:\n%s", stack)
			}
			return at, refused
		}, func(int) { t.Error("something was discarded") })
		if got != 7 || refused == nil && errs != nil || refused != nil && !slices.Equal(errs, []error{refused}) {
			t.Errorf("race gave %d and %v, want 7 and %v", got, errs, refused)
		}
	}
}
