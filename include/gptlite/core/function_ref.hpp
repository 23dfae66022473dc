#pragma once
// FunctionRef: a function object by reference. A function that takes one is compiled once, not once per lambda.

#include <memory>
#include <type_traits>
#include <utility>

#include "gptlite/config.hpp"

namespace gptlite::inline GPTLITE_ABI {

template <class Signature>
class FunctionRef;

/// Calls a function object that somebody else keeps alive: for parameters, not for members. Like std::function_ref of
/// C++26.
template <class Result, class... Arguments>
class FunctionRef<Result(Arguments...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<Result, F&, Arguments...>)
      FunctionRef(F&& f)  // NOLINT: implicit, so that a lambda can be an argument
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, Arguments... arguments) -> Result {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Arguments>(arguments)...);
        }) {}

  Result operator()(Arguments... arguments) const { return call_(object_, std::forward<Arguments>(arguments)...); }

 private:
  void* object_;
  Result (*call_)(void*, Arguments...);
};

}  // namespace gptlite::inline GPTLITE_ABI
