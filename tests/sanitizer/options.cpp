// The options of ThreadSanitizer, so that the tests need no environment for them.

extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {  // the sanitizer calls it
  return "ignore_noninstrumented_modules=1 "  // libomp: what it does in its own memory is no concern of ours
         "die_after_fork=0 "    // a forked child starts threads, which parallel_test tries
         "atexit_sleep_ms=0 ";  // a second per test for races after main; the helper threads sleep then
}

extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  // No race: the test's own signal handler leaves errno changed, to see that read_text is not misled.
  return "signal:tests/core/text_file_test.cpp\n";
}
