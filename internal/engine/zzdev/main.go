package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"testing/fstest"
	"time"

	"github.com/ergane-dev/ergane/internal/engine"
)

func main() {
	t, err := engine.DefaultTable()
	if err != nil {
		panic(err)
	}
	spec, _, _ := t.Resolve("AUTO")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	began := time.Now()
	if len(os.Args) > 2 && os.Args[2] == "launch" {
		e, err := engine.Open(os.Args[1], spec)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		l, err := e.Launch(engine.LaunchSpec{WorkDir: os.Args[3], S3: engine.S3{Endpoint: os.Getenv("S3E"), AccessKeyID: os.Getenv("S3K"), Secret: os.Getenv("S3S")}})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		json.NewEncoder(os.Stdout).Encode(map[string]any{"v": 1, "kernel_argv": l.Argv, "kernel_env": l.Env, "java": l.Java, "spark": l.Spark})
		return
	}
	e, err := engine.Install(ctx, engine.Options{Dir: os.Args[1], Spec: spec, KernelFS: fstest.MapFS{"__main__.py": {Data: []byte("print(1)")}},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Progress: func(p engine.Progress) {
			fmt.Printf("%6.1fs %-9s %s  %d/%d MB left %s\n", p.Elapsed.Seconds(), p.Step, p.What, p.DoneBytes/1e6, p.TotalBytes/1e6, p.Left)
		}})
	if err != nil {
		fmt.Println("ERROR", time.Since(began), err)
		os.Exit(1)
	}
	for _, f := range e.Check(ctx) {
		fmt.Printf("%+v\n", f)
	}
	fmt.Println(time.Since(began))
}
