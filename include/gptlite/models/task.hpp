#pragma once
// The four tasks of Radford et al. 2018, section 3.3, and the batch of examples that a TaskModel reads.

#include <cstdint>

#include "gptlite/core/enum_names.hpp"
#include "gptlite/core/tensor.hpp"

namespace gptlite::inline GPTLITE_ABI {

/// Kind of a task, by the question that its head answers.
///   classification:   which class a text belongs to
///   entailment:       which class a premise and a hypothesis belong to
///   similarity:       how alike two texts are, a score from 0 to the number of classes - 1
///   multiple_choice:  which of several answers fits a context
enum class Task { classification, entailment, similarity, multiple_choice };

constexpr auto enum_names(Task) {
  return EnumNames<Task, 4>{"task",
                            {{{"classification", Task::classification},
                              {"entailment", Task::entailment},
                              {"similarity", Task::similarity},
                              {"multiple-choice", Task::multiple_choice}}}};
}

/// Batch of B examples with S sequences each, of T tokens with padding on the right. S is 1, for similarity 2 (both
/// orders), for multiple choice the number of answers. A causal backbone needs no mask for the padding.
template <class T>
struct TaskBatch {
  Tensor<TokenId> tokens;           // (B S, T)
  Tensor<std::int32_t> lengths;     // (B S): tokens before the padding; the last of them is the extract token
  Index sequences_per_example = 1;  // S
  Tensor<std::int32_t> labels;      // (B): the class or the right answer
  Tensor<T> probabilities;          // (B, n): similarity's targets, in place of labels
};

}  // namespace gptlite::inline GPTLITE_ABI
