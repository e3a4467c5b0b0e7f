// The scenario with the AWS SDK for Go: scenario SCENARIO.JSON.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	group   = "of-go"
	place   = "s3://of-go/here"
	unknown = "00000000-0000-7000-8000-000000000000"
	// How long anything may take; only a broken run comes near it.
	limit = 2 * time.Minute
	pause = 200 * time.Millisecond
)

// The scenario, as scenario.json tells it.
var scenario struct {
	WorkGroup string            `json:"work_group"`
	Code      map[string]string `json:"code"`
	Expect    map[string]string `json:"expect"`
}

type client struct {
	athena *athena.Client
	s3     *s3.Client
	region string
}

func main() {
	ctx := context.Background()
	text, err := os.ReadFile(os.Args[1])
	must(err)
	must(json.Unmarshal(text, &scenario))
	cfg, err := config.LoadDefaultConfig(ctx)
	must(err)
	fmt.Println("version", version())
	c := client{
		athena: athena.NewFromConfig(cfg),
		s3:     s3.NewFromConfig(cfg),
		region: cfg.Region,
	}
	c.sessions(ctx)
	c.workGroups(ctx)
	c.changeWorkGroup(ctx)
}

func (c client) sessions(ctx context.Context) {
	code, expect := scenario.Code, scenario.Expect
	sid := c.start(ctx, scenario.WorkGroup, nil)
	check(c.awaitSession(ctx, sid, types.SessionStateCreating), types.SessionStateIdle)
	session, err := c.athena.GetSession(ctx, &athena.GetSessionInput{SessionId: &sid})
	must(err)
	check(*session.EngineVersion, expect["engine"])
	ok("session")

	first := c.run(ctx, sid, code["stdout"])
	check(first.Status.State, types.CalculationExecutionStateCompleted)
	check(c.read(ctx, first.Result.StdOutS3Uri), expect["stdout"])
	ok("stdout")
	check(c.read(ctx, c.run(ctx, sid, code["shared"]).Result.StdOutS3Uri), expect["shared"])
	ok("shared")

	failed := c.run(ctx, sid, code["failure"])
	check(failed.Status.State, types.CalculationExecutionStateFailed)
	check(strings.TrimSpace(c.read(ctx, failed.Result.StdErrorS3Uri)), expect["failure"])
	ok("failure")

	endless, err := c.submit(ctx, sid, code["endless"], nil)
	must(err)
	running := c.awaitCalculation(ctx, endless, types.CalculationExecutionStateCreating)
	check(running.Status.State, types.CalculationExecutionStateRunning)
	_, err = c.submit(ctx, sid, code["shared"], nil)
	refused(err, expect["busy"])
	ok("busy")
	_, err = c.athena.StopCalculationExecution(ctx, &athena.StopCalculationExecutionInput{CalculationExecutionId: &endless})
	must(err)
	stopped := c.awaitCalculation(ctx, endless, types.CalculationExecutionStateRunning, types.CalculationExecutionStateCanceling)
	check(stopped.Status.State, types.CalculationExecutionStateCanceled)
	check(c.read(ctx, c.run(ctx, sid, code["kept"]).Result.StdOutS3Uri), expect["kept"])
	ok("stop")

	sent, err := c.athena.GetCalculationExecutionCode(ctx, &athena.GetCalculationExecutionCodeInput{
		CalculationExecutionId: first.CalculationExecutionId,
	})
	must(err)
	check(*sent.CodeBlock, code["stdout"])
	ok("code")

	token := aws.String(strings.Repeat(rand.Text(), 2))
	once, err := c.submit(ctx, sid, code["shared"], token)
	must(err)
	again, err := c.submit(ctx, sid, code["shared"], token)
	must(err)
	check(again, once)
	c.awaitCalculation(ctx, once, types.CalculationExecutionStateCreating, types.CalculationExecutionStateRunning)
	_, err = c.submit(ctx, sid, code["kept"], token)
	refused(err, "")
	second := c.start(ctx, scenario.WorkGroup, token)
	check(c.start(ctx, scenario.WorkGroup, token), second)
	ok("token")

	sessions := pages(func(next *string) ([]string, *string) {
		page, err := c.athena.ListSessions(ctx, &athena.ListSessionsInput{
			WorkGroup: &scenario.WorkGroup, MaxResults: aws.Int32(1), NextToken: next,
		})
		must(err)
		return names(page.Sessions, func(s types.SessionSummary) string { return *s.SessionId }), page.NextToken
	})
	check(fmt.Sprint(sessions[:2]), fmt.Sprint([]string{second, sid}))
	ran := pages(func(next *string) ([]string, *string) {
		page, err := c.athena.ListCalculationExecutions(ctx, &athena.ListCalculationExecutionsInput{
			SessionId: &sid, MaxResults: aws.Int32(1), NextToken: next,
		})
		must(err)
		return names(page.Calculations, func(s types.CalculationSummary) string { return *s.CalculationExecutionId }), page.NextToken
	})
	check(len(ran), 6)
	check(ran[0], once)
	check(ran[5], *first.CalculationExecutionId)
	kinds := pages(func(next *string) ([]string, *string) {
		page, err := c.athena.ListExecutors(ctx, &athena.ListExecutorsInput{
			SessionId: &sid, MaxResults: aws.Int32(1), NextToken: next,
		})
		must(err)
		return names(page.ExecutorsSummary, func(s types.ExecutorsSummary) string { return string(s.ExecutorType) }), page.NextToken
	})
	slices.Sort(kinds)
	check(fmt.Sprint(kinds), "[COORDINATOR GATEWAY]")
	ok("paging")

	_, err = c.athena.GetSessionStatus(ctx, &athena.GetSessionStatusInput{SessionId: aws.String(unknown)})
	refused(err, "")
	ok("unknown")

	for _, ending := range []string{second, sid} {
		c.terminate(ctx, ending)
		_, err := c.athena.TerminateSession(ctx, &athena.TerminateSessionInput{SessionId: &ending})
		must(err)
	}
	ok("terminate")
}

func (c client) workGroups(ctx context.Context) {
	_, err := c.athena.CreateWorkGroup(ctx, &athena.CreateWorkGroupInput{
		Name:        aws.String(group),
		Description: aws.String("made by go"),
		Configuration: &types.WorkGroupConfiguration{
			ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String(place)},
			EngineVersion:       &types.EngineVersion{SelectedEngineVersion: aws.String(scenario.Expect["engine"])},
		},
		Tags: []types.Tag{{Key: aws.String("made"), Value: aws.String("true")}},
	})
	must(err)
	got := c.workGroup(ctx)
	check(*got.Description, "made by go")
	check(got.State, types.WorkGroupStateEnabled)
	check(*got.Configuration.ResultConfiguration.OutputLocation, place)
	groups := pages(func(next *string) ([]string, *string) {
		page, err := c.athena.ListWorkGroups(ctx, &athena.ListWorkGroupsInput{MaxResults: aws.Int32(1), NextToken: next})
		must(err)
		return names(page.WorkGroups, func(s types.WorkGroupSummary) string { return *s.Name }), page.NextToken
	})
	check(slices.Contains(groups, group) && slices.Contains(groups, scenario.WorkGroup), true)

	sid := c.start(ctx, group, nil)
	check(c.awaitSession(ctx, sid, types.SessionStateCreating), types.SessionStateIdle)
	out := c.run(ctx, sid, "print(1)").Result.StdOutS3Uri
	check(strings.HasPrefix(*out, place+"/"), true)
	check(c.read(ctx, out), "1\n")
	c.terminate(ctx, sid)
	ok("work_groups")
}

func (c client) changeWorkGroup(ctx context.Context) {
	_, err := c.athena.UpdateWorkGroup(ctx, &athena.UpdateWorkGroupInput{
		WorkGroup: aws.String(group), Description: aws.String("changed by go"), State: types.WorkGroupStateDisabled,
	})
	must(err)
	got := c.workGroup(ctx)
	check(*got.Description, "changed by go")
	check(got.State, types.WorkGroupStateDisabled)

	arn := fmt.Sprintf("arn:aws:athena:%s:000000000000:workgroup/%s", c.region, group)
	team := []types.Tag{{Key: aws.String("team"), Value: aws.String("data")}}
	_, err = c.athena.TagResource(ctx, &athena.TagResourceInput{ResourceARN: &arn, Tags: team})
	must(err)
	check(c.tags(ctx, arn), "[made=true team=data]")
	_, err = c.athena.UntagResource(ctx, &athena.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"made"}})
	must(err)
	check(c.tags(ctx, arn), "[team=data]")

	engines, err := c.athena.ListEngineVersions(ctx, &athena.ListEngineVersionsInput{})
	must(err)
	check(slices.ContainsFunc(engines.EngineVersions, func(e types.EngineVersion) bool {
		return *e.SelectedEngineVersion == scenario.Expect["engine"]
	}), true)

	_, err = c.athena.DeleteWorkGroup(ctx, &athena.DeleteWorkGroupInput{
		WorkGroup: aws.String(group), RecursiveDeleteOption: aws.Bool(true),
	})
	must(err)
	_, err = c.athena.GetWorkGroup(ctx, &athena.GetWorkGroupInput{WorkGroup: aws.String(group)})
	refused(err, "is not found")
	ok("change_work_group")
}

func (c client) workGroup(ctx context.Context) *types.WorkGroup {
	got, err := c.athena.GetWorkGroup(ctx, &athena.GetWorkGroupInput{WorkGroup: aws.String(group)})
	must(err)
	return got.WorkGroup
}

func (c client) tags(ctx context.Context, arn string) string {
	got, err := c.athena.ListTagsForResource(ctx, &athena.ListTagsForResourceInput{ResourceARN: &arn})
	must(err)
	tags := names(got.Tags, func(t types.Tag) string { return *t.Key + "=" + *t.Value })
	slices.Sort(tags)
	return fmt.Sprint(tags)
}

func (c client) start(ctx context.Context, workGroup string, token *string) string {
	got, err := c.athena.StartSession(ctx, &athena.StartSessionInput{
		WorkGroup:           &workGroup,
		EngineConfiguration: &types.EngineConfiguration{MaxConcurrentDpus: aws.Int32(2)},
		ClientRequestToken:  token,
	})
	must(err)
	return *got.SessionId
}

func (c client) terminate(ctx context.Context, sid string) {
	_, err := c.athena.TerminateSession(ctx, &athena.TerminateSessionInput{SessionId: &sid})
	must(err)
	check(c.awaitSession(ctx, sid, types.SessionStateTerminating), types.SessionStateTerminated)
}

func (c client) submit(ctx context.Context, sid, code string, token *string) (string, error) {
	got, err := c.athena.StartCalculationExecution(ctx, &athena.StartCalculationExecutionInput{
		SessionId: &sid, CodeBlock: &code, ClientRequestToken: token,
	})
	if err != nil {
		return "", err
	}
	return *got.CalculationExecutionId, nil
}

func (c client) run(ctx context.Context, sid, code string) *athena.GetCalculationExecutionOutput {
	cid, err := c.submit(ctx, sid, code, nil)
	must(err)
	return c.awaitCalculation(ctx, cid, types.CalculationExecutionStateCreating, types.CalculationExecutionStateRunning)
}

// awaitSession returns the session's state once it is another one than leave.
func (c client) awaitSession(ctx context.Context, sid string, leave types.SessionState) types.SessionState {
	var state types.SessionState
	await(func() bool {
		got, err := c.athena.GetSessionStatus(ctx, &athena.GetSessionStatusInput{SessionId: &sid})
		must(err)
		state = got.Status.State
		return state != leave
	})
	return state
}

// awaitCalculation returns the calculation once its state is none of leave.
func (c client) awaitCalculation(
	ctx context.Context, cid string, leave ...types.CalculationExecutionState,
) *athena.GetCalculationExecutionOutput {
	var got *athena.GetCalculationExecutionOutput
	await(func() bool {
		var err error
		got, err = c.athena.GetCalculationExecution(ctx, &athena.GetCalculationExecutionInput{CalculationExecutionId: &cid})
		must(err)
		return !slices.Contains(leave, got.Status.State)
	})
	return got
}

func (c client) read(ctx context.Context, uri *string) string {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(*uri, "s3://"), "/")
	got, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	must(err)
	text, err := io.ReadAll(got.Body)
	must(err)
	must(got.Body.Close())
	return string(text)
}

// pages lists one by one, as a client without a paginator does.
func pages(list func(next *string) ([]string, *string)) []string {
	var found []string
	var next *string
	for {
		var page []string
		page, next = list(next)
		check(len(page) <= 1, true)
		found = append(found, page...)
		if next == nil {
			sorted := slices.Clone(found)
			slices.Sort(sorted)
			check(len(slices.Compact(sorted)), len(found))
			return found
		}
	}
}

func names[T any](list []T, name func(T) string) []string {
	var all []string
	for _, entry := range list {
		all = append(all, name(entry))
	}
	return all
}

func await(done func() bool) {
	for end := time.Now().Add(limit); !done(); time.Sleep(pause) {
		if time.Now().After(end) {
			panic(fmt.Sprintf("nothing within %v", limit))
		}
	}
}

// refused sees that the error is the SDK's own class, with the words in it.
func refused(err error, words string) {
	var invalid *types.InvalidRequestException
	if !errors.As(err, &invalid) || !strings.Contains(invalid.ErrorMessage(), words) {
		panic(fmt.Sprintf("got %v, want InvalidRequestException: %s", err, words))
	}
}

func ok(step string) { fmt.Println("ok", step) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check[T comparable](got, want T) {
	if got != want {
		panic(fmt.Sprintf("got %#v, want %#v", got, want))
	}
}

// version tells the SDK that is compiled in.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == "github.com/aws/aws-sdk-go-v2/service/athena" {
			return "aws-sdk-go-v2/service/athena " + m.Version
		}
	}
	return "aws-sdk-go-v2"
}
