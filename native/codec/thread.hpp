// SPDX-License-Identifier: Apache-2.0
// A thread of the system. std::thread throws where the system allows no more threads; this one reports it.
#pragma once

#if defined(_WIN32)
#include "windows_api.hpp"
#define NNR_THREADS 1
#elif defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
#define NNR_THREADS 0
#else
#include <pthread.h>
#define NNR_THREADS 1
#endif

namespace nnr {

class Thread {
 public:
  // Runs run(argument), which must live until join(). False where the system has no thread for it.
  [[nodiscard]] bool start(void (*run)(void*), void* argument) {
    run_ = run;
    argument_ = argument;
#if !NNR_THREADS
    return false;
#elif defined(_WIN32)
    thread_ = CreateThread(nullptr, 0, enter, this, 0, nullptr);
    return thread_ != nullptr;
#else
    return pthread_create(&thread_, nullptr, enter, this) == 0;
#endif
  }
  // Waits for the end of a thread that was started.
  void join() const {
#if defined(_WIN32)
    WaitForSingleObject(thread_, INFINITE);
    CloseHandle(thread_);
#elif NNR_THREADS
    pthread_join(thread_, nullptr);
#endif
  }

 private:
#if defined(_WIN32)
  static DWORD WINAPI enter(void* self) {
    static_cast<Thread*>(self)->run_(static_cast<Thread*>(self)->argument_);
    return 0;
  }
  HANDLE thread_ = nullptr;
#elif NNR_THREADS
  static void* enter(void* self) {
    static_cast<Thread*>(self)->run_(static_cast<Thread*>(self)->argument_);
    return nullptr;
  }
  pthread_t thread_ = {};
#endif
  void (*run_)(void*) = nullptr;
  void* argument_ = nullptr;
};

// A lock and the event that it guards. The standard library's throw, and need its run-time library.
class Monitor {
 public:
  Monitor() = default;
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

#if !NNR_THREADS
  void lock() {}
  void unlock() {}
  void notify_all() {}
  void wait() {}
#elif defined(_WIN32)
  void lock() { AcquireSRWLockExclusive(&lock_); }
  void unlock() { ReleaseSRWLockExclusive(&lock_); }
  void notify_all() { WakeAllConditionVariable(&changed_); }
  // Unlocks, waits for an event, and locks again.
  void wait() { SleepConditionVariableSRW(&changed_, &lock_, INFINITE, 0); }

 private:
  SRWLOCK lock_ = SRWLOCK_INIT;
  CONDITION_VARIABLE changed_ = CONDITION_VARIABLE_INIT;
#else
  ~Monitor() {
    pthread_cond_destroy(&changed_);
    pthread_mutex_destroy(&lock_);
  }
  void lock() { pthread_mutex_lock(&lock_); }
  void unlock() { pthread_mutex_unlock(&lock_); }
  void notify_all() { pthread_cond_broadcast(&changed_); }
  // Unlocks, waits for an event, and locks again.
  void wait() { pthread_cond_wait(&changed_, &lock_); }

 private:
  pthread_mutex_t lock_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
#endif
};

}  // namespace nnr
